"""How what add-ons keep is saved and brought back: by commands that run in the very pod that has it.

There they need no way through walls or a mesh, no password in a file, and no right beyond `kubectl exec`. They are one
line each, for a shell; what is saved comes out, what is brought back goes in.
"""

from __future__ import annotations

from collections.abc import Sequence

from espalier.types import Data


def mysql(
    what: str, namespace: str, workload: str, container: str, claim: str, databases: Sequence[str], given: str = ""
) -> Data:
    """Databases of a MySQL whose root password is in its own environment: all of one moment, in SQL."""
    run = _inside(namespace, workload, container)
    login = 'MYSQL_PWD="$MYSQL_ROOT_PASSWORD"'
    dump = f"{login} mysqldump -uroot --single-transaction --routines --databases {' '.join(databases)}"
    return Data(
        what,
        f"MySQL of Deployment {workload}, one pod: two would need a replication that its image does not set up",
        save=f"{run} sh -c '{dump}' > {workload}.sql",
        restore=f"{run} sh -c '{login} mysql -uroot' < {workload}.sql",
        namespace=namespace,
        claims=(claim,),
        given=given,
    )


def sqlite(what: str, namespace: str, workload: str, container: str, claim: str, path: str, given: str = "") -> Data:
    """A database in a file, copied by SQLite's own backup, which waits for whoever writes.

    A server that has read the old one starts anew.
    """
    run = _inside(namespace, workload, container)
    begin = f'import os,sqlite3,sys; there="{path}"; saved=there+".saved"; at=sqlite3.connect'
    out = 'at(there).backup(at(saved)); sys.stdout.buffer.write(open(saved,"rb").read()); os.remove(saved)'
    again = f"kubectl -n {namespace} rollout restart deploy/{workload}"
    back = 'open(saved,"wb").write(sys.stdin.buffer.read()); at(saved).backup(at(there)); os.remove(saved)'
    return Data(
        what,
        f"a file of SQLite, which one server writes: Deployment {workload}",
        save=f"{run} python3 -c '{begin}; {out}' > {workload}.sqlite",
        restore=f"{run} python3 -c '{begin}; {back}' < {workload}.sqlite && {again}",
        namespace=namespace,
        claims=(claim,),
        given=given,
    )


def files(what: str, namespace: str, workload: str, container: str, claim: str, folder: str, given: str = "") -> Data:
    """Files that are written once and read later."""
    run = _inside(namespace, workload, container)
    archive = f"{workload}-files.tar"
    return Data(
        what,
        f"files of Deployment {workload}",
        save=f"{run} tar -C {folder} -cf - . > {archive}",
        restore=f"{run} tar -C {folder} -xf - < {archive}",
        namespace=namespace,
        claims=(claim,),
        given=given,
    )


def _inside(namespace: str, workload: str, container: str) -> str:
    return f"kubectl -n {namespace} exec -i deploy/{workload} -c {container} --"
