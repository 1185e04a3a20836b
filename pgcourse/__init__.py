"""Policy gradient methods: a course whose every number is measured."""
