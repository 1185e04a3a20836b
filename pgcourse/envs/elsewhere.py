"""Environments that other packages register: which package to install where one of them is unknown here."""

from __future__ import annotations

import re

PACKAGES = {
    r"Fetch|HandReach|HandManipulate|PointMaze|AntMaze|Adroit|FrankaKitchen": "gymnasium-robotics",
    r"MiniGrid-|BabyAI-": "minigrid",
    r"(highway|merge|roundabout|parking|intersection|racetrack)-": "highway-env",
    r"Panda(Reach|Push|Slide|PickAndPlace|Stack|Flip)": "panda-gym",
}
ATARI = (
    r"Alien|Amidar|Assault|Asterix|Asteroids|Atlantis|BankHeist|BattleZone|BeamRider|Berzerk|Bowling|Boxing|Breakout|"
    r"Centipede|ChopperCommand|CrazyClimber|Defender|DemonAttack|DoubleDunk|Enduro|FishingDerby|Freeway|Frostbite|"
    r"Gopher|Gravitar|Hero|IceHockey|Jamesbond|Kangaroo|Krull|KungFuMaster|MontezumaRevenge|MsPacman|NameThisGame|"
    r"Phoenix|Pitfall|Pong|PrivateEye|Qbert|Riverraid|RoadRunner|Robotank|Seaquest|Skiing|Solaris|SpaceInvaders|"
    r"StarGunner|Tennis|TimePilot|Tutankham|UpNDown|Venture|VideoPinball|WizardOfWor|YarsRevenge|Zaxxon"
)


def package_of(env: str) -> tuple[str, str] | None:
    """The package that registers an id, and what to call the id once it is installed: "module:ID".

    >>> package_of("Pong-v5")
    ('ale-py', 'ale_py:ALE/Pong-v5')
    """
    id = env.rpartition(":")[2]
    game = re.match(rf"(?:ALE/)?(?:{ATARI})(?:NoFrameskip|Deterministic)?(?:-ram)?-v\d+$", id)
    if game:
        return "ale-py", f"ale_py:{id if id.startswith('ALE/') or not id.endswith('-v5') else f'ALE/{id}'}"
    package = next((name for start, name in PACKAGES.items() if re.match(start, id)), None)
    return (package, f"{package.replace('-', '_')}:{id}") if package else None
