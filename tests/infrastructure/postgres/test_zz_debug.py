from tests.infrastructure.postgres.test_every_statement import *
from infrastructure.postgres.marking import PASSED, READ, KEEP
from infrastructure.postgres.views import LOG, READERS
from infrastructure.postgres.driver.batches import PLANS as B
from infrastructure.postgres.driver.reads import PLANS as R

def show(c, title, types, text, args):
    c.execute("DEALLOCATE ALL")
    c.execute(f"PREPARE x({types}) AS {text}")
    print("=====", title)
    for (line,) in c.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, COSTS ON) EXECUTE x({args})").fetchall(): print(line)

def test_x(misleading):
    import re
    f = misleading.filled
    with misleading.server.connect(misleading.names["stale"]) as c:
        for n,v in B.items(): c.execute("SELECT set_config(%s,%s,false)", (n,v))
        i=iter(range(1,9)); t=re.sub("%s", lambda m: f"${next(i)}", PASSED)
        show(c, "PASSED", "uuid[],uuid[],bigint[],bigint[],int", t, f"ARRAY['{f.chat}']::uuid[], ARRAY['{f.reader}']::uuid[], ARRAY[19800]::bigint[], ARRAY[19820]::bigint[], 1000")
        c.execute("RESET ALL")
        for n,v in R.items(): c.execute("SELECT set_config(%s,%s,false)", (n,v))
        t=LOG.text
        print(t, LOG.constants)
        names={}
        def num(m):
            k=m.group(1)
            names.setdefault(k,len(names)+1); return f"${names[k]}"
        t=re.sub(r"%\((\w+)\)s", num, t)
        vals={"chat":f"'{f.chat}'::uuid","after":"19940","most":"50"}
        show(c,"LOG", ",".join({"chat":"uuid"}.get(k,"bigint") for k in names), t, ",".join(vals[k] for k in names))
