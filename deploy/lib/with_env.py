"""Run a command with the variables of ``.env``, as systemd's ``EnvironmentFile=`` gives them.

``python with_env.py COMMAND…``; what the environment has already, stays.
"""

import os
import sys

from dotenv import dotenv_values

if __name__ == "__main__":
    given = {
        name: value for name, value in dotenv_values(".env", interpolate=False).items() if value
    }
    os.execvpe(sys.argv[1], sys.argv[1:], {**given, **os.environ})
