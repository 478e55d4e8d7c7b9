"""Settings that hold a secret, put together from files mounted into the pod.

A Secret in a pod's environment shows in ``kubectl describe``, in crash reports and in every child process. The packages
read nothing but environment variables, so the values go into this process's own environment just before they are imported.
"""

import os
from pathlib import Path
from urllib.parse import quote


def read(path: str | os.PathLike[str]) -> str:
    """Returns a mounted file's text without the newline that editors put at its end."""
    try:
        return Path(path).read_text(encoding="utf-8").removesuffix("\n")
    except OSError as error:
        raise SystemExit(
            f"runtime::secret-unreadable: cannot read {path}: {error.strerror}. "
            "Check that the Secret has this key and is mounted into the pod."
        ) from None


def needed(name: str) -> str:
    """Returns an environment variable that the chart must set."""
    try:
        return os.environ[name]
    except KeyError:
        raise SystemExit(
            f"runtime::setting-missing: the environment variable {name} is not set. The chart sets it; "
            "outside Kubernetes set it by hand."
        ) from None


def database(prefix: str, driver: str) -> None:
    """Sets ``<prefix>DB_DATASOURCE`` for a package.

    The packages join user, password and host without escaping, so a password with ``@``, ``/`` or ``:`` breaks them; a
    complete data source, which they take as it is, does not.
    """
    credentials = Path(needed("DATABASE_CREDENTIALS"))
    user = quote(read(credentials / "username"), safe="")
    password = quote(read(credentials / "password"), safe="")
    host, port, name = needed("DATABASE_HOST"), needed("DATABASE_PORT"), needed("DATABASE_NAME")
    os.environ[f"{prefix}DB_DATASOURCE"] = f"{driver}://{user}:{password}@{host}:{port}/{quote(name, safe='')}"


def broker(prefix: str) -> None:
    """Sets ``<prefix>CELERY_BROKER_URL`` and ``<prefix>CELERY_BACKEND_URL`` for a package."""
    password = quote(read(needed("REDIS_PASSWORD_FILE")), safe="")
    url = f"redis://:{password}@{needed('REDIS_HOST')}:{needed('REDIS_PORT')}/{needed('REDIS_DATABASE')}"
    os.environ[f"{prefix}CELERY_BROKER_URL"] = url
    os.environ[f"{prefix}CELERY_BACKEND_URL"] = url


def setting(name: str, file_variable: str) -> None:
    """Sets the environment variable ``name`` to the text of the file that ``file_variable`` names, if it names one."""
    path = os.environ.get(file_variable)
    if path:
        os.environ[name] = read(path)
