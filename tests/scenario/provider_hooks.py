# Signs a body as a payment provider does and prints the headers for curl.
# usage: provider_hooks.py standard|stripe SECRET ID SECONDS BODY
import base64
import hashlib
import hmac
import sys

scheme, secret, event_id, seconds, body = sys.argv[1:]
if scheme == "standard":
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{event_id}.{seconds}.{body}".encode(), hashlib.sha256).digest()
    print(f"webhook-id: {event_id}")
    print(f"webhook-timestamp: {seconds}")
    print(f"webhook-signature: v1,c2VuZGVyIG9mIGFub3RoZXI= v1,{base64.b64encode(mac).decode()}")
else:
    mac = hmac.new(secret.encode(), f"{seconds}.{body}".encode(), hashlib.sha256).hexdigest()
    print(f"stripe-signature: t={seconds},v1={'0' * 64},v1={mac},v0=00")
