from tests.simulation.test_interleavings import *
from tests.simulation import test_interleavings as ti
import re
@pytest.fixture
async def venue(db):
    sql=open("core-service/src/tapwire_core/db/migrations/versions/0002_decision_functions.sql").read()
    for name in ("lock_question","lock_report"):
        fn=[f for f in sql.split("-- end of function") if f"CREATE FUNCTION {name}(" in f][0]
        fn=fn[fn.index("CREATE FUNCTION"):].replace("CREATE FUNCTION","CREATE OR REPLACE FUNCTION")
        fn=fn.replace("SELECT * INTO tap FROM taps WHERE tap_path = asked_tap FOR NO KEY UPDATE","SELECT * INTO tap FROM taps WHERE tap_path = asked_tap").replace("PERFORM 1 FROM taps WHERE tap_path = asked_tap FOR NO KEY UPDATE","PERFORM 1 FROM taps WHERE tap_path = asked_tap")
        await db.pool.execute(fn)
    yield await Venue.open(db)
