"""The oracle: a slow, obvious re-statement of SPEC 4-8 and 12 for new-customer SOPs, to be compared with the engine.

Written from SPEC.md and not from the engine, and it must stay so: nothing of `machines` or `sopd` is imported here.
It does one thing at a time, looks at everything at every instant, and never minds the cost. `company.Company` takes the
deeds of a history one by one; `account.compare` lays its word beside what the engine wrote down.
"""
