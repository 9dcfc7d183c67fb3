"""A spec and a table of ten patients as text, which a command reads and fits in a second."""

SPEC = """
schema = 1
name = "small"
question = "is a better than b?"
endpoint = "os"
[evidence]
patients = ["ipd.csv"]
[treatments]
reference = "a"
compare = ["b"]
[priors]
intercept = { dist = "normal", sd = 1.0, why = "test" }
log_hr = { dist = "normal", sd = 1.0, why = "test" }
log_shape = { dist = "normal", sd = 0.3, why = "test" }
"""
PATIENTS = "study,arm,treatment,time,event\n" + "".join(
    f"s,{arm},{arm},{time},{event}\n" for arm in "ab" for time, event in ((2, 1), (5, 1), (7, 0), (11, 1), (16, 0))
)
