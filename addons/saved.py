"""How what add-ons keep is saved and brought back: by commands that run in the very pod that has it.

There they need no way through walls or a mesh, no password in a file, and no right beyond `kubectl exec`: what is
saved comes out, what is brought back goes in. `espalier backup` and `restore` run them; a line each is for people.

Facts: docker-library/docs mysql/content.md ("Creating database dumps": mysqldump in the container, by root) and
mysql-server packaging/rpm-docker/mysql.spec.in (what is in server-minimal, of which docker-library/mysql
8.4/Dockerfile.oracle is made); Dockerfiles of the hub (zero-to-jupyterhub-k8s images/hub) and of MLflow and Evidently
(burakince/mlflow Dockerfile-debian, evidently docker/Dockerfile.service), which are Debian with Python.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from espalier.types import Data, InPod


def mysql(
    what: str,
    namespace: str,
    workload: str,
    container: str,
    claim: str,
    databases: Sequence[str],
    *,
    restarts: tuple[str, ...] = (),
    given: str = "",
) -> Data:
    """Databases of a MySQL whose root password is in its own environment: all of one moment, in SQL."""
    login = 'MYSQL_PWD="$MYSQL_ROOT_PASSWORD"'
    dump = f"{login} mysqldump -uroot --single-transaction --routines --databases {' '.join(databases)}"
    return Data(
        what,
        f"MySQL of Deployment {workload}, one pod: two would need a replication that its image does not set up",
        InPod(
            workload,
            container,
            f"{workload}.sql",
            save=("sh", "-c", dump),
            restore=("sh", "-c", f"{login} mysql -uroot"),
            restarts=restarts,
        ),
        namespace=namespace,
        claims=(claim,),
        given=given,
    )


def sqlite(what: str, namespace: str, workload: str, container: str, claim: str, path: str, given: str = "") -> Data:
    """A database in a file, copied by SQLite's own backup, which waits for whoever writes.

    What comes back is read whole before anything is overwritten. A server that has read the old one starts anew.
    """
    begin = f'import os,shutil,sqlite3,sys; there="{path}"; saved=there+".saved"; at=sqlite3.connect; '
    begin += "copy=shutil.copyfileobj; os.path.exists(saved) and os.remove(saved)"
    out = 'at(there).backup(at(saved)); copy(open(saved,"rb"),sys.stdout.buffer); os.remove(saved)'
    whole = 'at(saved).execute("pragma quick_check").fetchone()==("ok",) or sys.exit("damaged on its way")'
    back = f'copy(sys.stdin.buffer,open(saved,"wb")); {whole}; at(saved).backup(at(there)); os.remove(saved)'
    return Data(
        what,
        f"a file of SQLite, which one server writes: Deployment {workload}",
        InPod(
            workload,
            container,
            f"{workload}.sqlite",
            save=("python3", "-c", f"{begin}; {out}"),
            restore=("python3", "-c", f"{begin}; {back}"),
            restarts=(workload,),
        ),
        namespace=namespace,
        claims=(claim,),
        given=given,
    )


def files(what: str, namespace: str, workload: str, container: str, claim: str, folder: str, given: str = "") -> Data:
    """Files that are written once and read later: those that came since stay beside what comes back."""
    return Data(
        what,
        f"files of Deployment {workload}",
        InPod(
            workload,
            container,
            f"{workload}-files.tar",
            save=("tar", "-C", folder, "-cf", "-", "."),
            restore=("tar", "-C", folder, "-xf", "-"),
        ),
        namespace=namespace,
        claims=(claim,),
        given=given,
    )


def saving(data: Data, by: InPod) -> tuple[str, ...]:
    """kubectl's arguments to save: the data come out."""
    return _inside(data, by, (), by.save)


def restoring(data: Data, by: InPod) -> tuple[str, ...]:
    """kubectl's arguments to bring back what goes in."""
    return _inside(data, by, ("-i",), by.restore)


def restarting(data: Data, workload: str) -> tuple[str, ...]:
    """kubectl's arguments to start a Deployment's pods anew."""
    return "-n", data.namespace, "rollout", "restart", f"deploy/{workload}"


def lines(data: Data, by: InPod) -> tuple[str, str]:
    """The same for a shell: a line that saves, and one that brings back."""
    again = "".join(f" && kubectl {shlex.join(restarting(data, one))}" for one in by.restarts)
    saves, restores = shlex.join(saving(data, by)), shlex.join(restoring(data, by))
    return f"kubectl {saves} > {by.file}", f"kubectl {restores} < {by.file}{again}"


def _inside(data: Data, by: InPod, options: tuple[str, ...], command: tuple[str, ...]) -> tuple[str, ...]:
    return "-n", data.namespace, "exec", *options, f"deploy/{by.workload}", "-c", by.container, "--", *command
