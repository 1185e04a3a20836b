"""Other libraries' worlds behind the interface of `pgcourse.envs.base`; each library is imported when it is used."""
