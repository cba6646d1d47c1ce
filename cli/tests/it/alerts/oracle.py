"""Other implementations of what alerts are made of, for tests: one line of standard input, one line of standard output.

    python3 oracle.py community_id     sa,da,sp,dp,pr,seed  ->  Community ID
    python3 oracle.py anonymize KEY    address              ->  address
    python3 oracle.py alert_id         values as JSON       ->  id
    python3 oracle.py ocsf             alert                ->  ok, or what is wrong with it
    python3 oracle.py cef              alert                ->  its fields as JSON
"""

import hashlib
import ipaddress
import json
import logging
import sys

ICMP, ICMP6 = 1, 58


def community_id(line):
    import communityid

    sa, da, sp, dp, pr, seed = line.split(",")
    sp, dp, pr = int(sp), int(dp), int(pr)
    if pr in (ICMP, ICMP6) and sp == 0:
        # nfdump's records.
        sp, dp = divmod(dp, 256)
    ports = (sp, dp) if pr in (ICMP, ICMP6, 6, 17, 132) else (None, None)
    return communityid.CommunityID(seed=int(seed)).calc(communityid.FlowTuple(pr, sa, da, *ports))


def anonymize(line, key):
    import yacryptopan

    return str(ipaddress.ip_address(yacryptopan.CryptoPAn(bytes.fromhex(key)).anonymize(line)))


def alert_id(line):
    texts = ("-," if value is None else f"{len(str(value).encode())}:{value}," for value in json.loads(line))
    return hashlib.sha256("".join(texts).encode()).hexdigest()


# Of the schema, but not of the package.
NOT_MODELLED = {"is_alert", "src_endpoint", "dst_endpoint", "connection_info"}


def unknown(model, given, path=""):
    """Members that the model of the schema does not have."""
    from pydantic import BaseModel

    for name, value in given.items():
        if name in NOT_MODELLED:
            continue
        if name not in type(model).model_fields:
            yield path + name
            continue
        known = getattr(model, name)
        pairs = zip(known, value) if isinstance(value, list) else [(known, value)]
        for inner, content in pairs:
            if isinstance(inner, BaseModel):
                yield from unknown(inner, content, f"{path}{name}.")


def ocsf(line):
    from py_ocsf_models.events.findings.detection_finding import DetectionFinding

    alert = json.loads(line)
    try:
        model = DetectionFinding.model_validate(alert)
    except ValueError as error:
        return str(error).replace("\n", " ")
    names = list(unknown(model, alert))
    return f"not in the schema: {names}" if names else "ok"


def cef(line):
    import pycef

    logging.disable(logging.CRITICAL)
    return json.dumps(pycef.parse(line))


def main():
    what = {"community_id": community_id, "anonymize": anonymize, "alert_id": alert_id, "ocsf": ocsf, "cef": cef}
    check = what[sys.argv[1]]
    for line in sys.stdin:
        print(check(line.rstrip("\n"), *sys.argv[2:]))


main()
