"""Invoice documents of many kinds, written as NAME.json into a folder: what `export ubl` and `export pdf` are tried on."""
import json, sys
from decimal import Decimal as D, ROUND_HALF_EVEN

FROM, TO = "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"
STANDARD = {"name": "nl", "label": "VAT 21 %", "category": "S", "rate": "0.21", "note": ""}
REVERSE = {"name": "rc", "label": "VAT 0 %", "category": "AE", "rate": "0", "note": "Reverse charge, article 196"}


def line(amount, **members):
    made = {"kind": "usage", "description": "H100 on demand", "product": "GPU", "meter": "gpu_hours", "unit": "GPU-hour",
            "quantity": "1", "amount": amount, "exact": amount, "from": FROM, "to": TO, "plan": "p", "trace": []}
    made.update(members)
    return made


def hours(quantity, each="2.49", minor="0.01", **members):
    exact = D(quantity) * D(each)
    amount = exact.quantize(D(minor), ROUND_HALF_EVEN)
    return line(**{"amount": str(amount), "quantity": str(quantity), "unit_price": {"each": each, "per": "1"}, "exact": str(exact), **members})


def invoice(name, lines, taxes=(STANDARD,), currency="EUR", minor="0.01", **members):
    for number, l in enumerate(lines, 1):
        l["number"] = number
    made_taxes = []
    for tax in taxes:
        base = sum(D(l["amount"]) for l in lines if l.get("tax", taxes[0]["name"] if len(taxes) == 1 else None) == tax["name"]
                   and l.get("tax_rate", tax["rate"]) == tax["rate"])
        made_taxes.append(dict(tax, base=str(base), amount=str((base * D(tax["rate"])).quantize(D(minor), ROUND_HALF_EVEN))))
    subtotal, tax = sum(D(l["amount"]) for l in lines), sum(D(t["amount"]) for t in made_taxes)
    document = {
        "schema": "meterhouse.invoice.1", "status": "finalized", "id": "inv_" + name, "number": "NW-" + name,
        "issued": "2026-11-01T08:00:00Z", "due": "2026-12-01T08:00:00Z", "period": "2026-10", "from": FROM, "to": TO,
        "time_zone": "Europe/Amsterdam", "currency": currency,
        "seller": {"name": "Northwind Compute B.V.", "address": ["Keizersgracht 1", "1015 AA Amsterdam"], "country": "NL",
                   "tax_id": "NL001234567B01", "registration": "KvK 12345678", "email": "billing@northwind.example",
                   "bank": "IBAN NL91 ABNA 0417 1643 00, BIC ABNANL2A", "footer": "Northwind Compute B.V."},
        "customer": {"id": "acme", "name": "Acme GmbH", "address": ["Hauptstr. 1", "Hof 2", "3. Stock", "10115 Berlin"],
                     "country": "DE", "tax_id": "DE123456789", "registration": "", "email": "ap@acme.example",
                     "reference": "PO-7"},
        "lines": lines, "unpriced": [], "exact": str(subtotal), "rounding": "0", "subtotal": str(subtotal),
        "taxes": made_taxes, "tax": str(tax), "total": str(subtotal + tax)}
    document.update(members)
    return document


def tokens():
    exact = D("18059974") * D("0.55") / 1000000
    return line(str(exact.quantize(D("0.01"))), quantity="18059974", unit="token", exact=str(exact), meter="tokens_in",
                unit_price={"each": "0.55", "per": "1000000"}, description="Tokens in")


def documents():
    party = invoice("x", [hours(1)])
    yield "one", invoice("one", [hours("125.5")])
    yield "many", invoice("many", [hours(D(1000 + 137 * i) / 8, description="Cluster %d" % i) for i in range(200)])
    yield "tokens", invoice("tokens", [tokens(), hours("0.000277778")])
    yield "fallback", invoice("fallback", [
        line("163.00", quantity="204", unit="call", model="graduated", description="Calls in tiers"),
        line("25.00", quantity="1", unit="month", kind="true_up", description="Minimum 100"),
        hours("10", included="4", amount="14.94", exact="14.94"),
        hours("10", covered="10", amount="0.00", exact="0"),
        hours("8", each="3", multiplier="0.42", amount="10.08", exact="10.08")])
    yield "negative", invoice("negative", [
        hours("100"), line("-12.34", kind="adjustment", description="H100 in September", **{
            "from": "2026-08-31T22:00:00Z", "to": "2026-09-30T22:00:00Z", "adjusts": {"invoice": "NW-2026-000001"}}),
        line("-50.00", kind="drawdown", description="Drawn from the commitment"), hours("-3")])
    yield "reverse", invoice("reverse", [hours("12")], taxes=(REVERSE,))
    yield "export", invoice("export", [hours("12")], taxes=(dict(REVERSE, category="G", note=""),))
    yield "exempt", invoice("exempt", [hours("12")], taxes=(dict(REVERSE, category="E", note=""),))
    yield "zero", invoice("zero", [hours("12")], taxes=(dict(REVERSE, category="Z", note=""),))
    yield "untaxed", invoice("untaxed", [hours("12")], taxes=())
    yield "mixed", invoice("mixed", [hours("12", tax="nl"), hours("7", tax="low"), hours("5")],
                           taxes=(STANDARD, dict(STANDARD, name="low", rate="0.09")))
    yield "rates", invoice("rates", [hours("12", tax="nl", tax_rate="0.21"), line("-40.00", kind="adjustment", tax="nl", tax_rate="0.19")],
                           taxes=(STANDARD, dict(STANDARD, rate="0.19")))
    yield "part", invoice("part", [hours("12", tax="nl"), line("3.00", tax="", description="Gift card")])
    yield "categories", invoice("categories", [hours("12", tax="nl"), hours("7", tax="rc"), hours("5", tax="e"), hours("2", tax="z"),
                                               line("-5.00", kind="credit", tax="rc"), line("-8.00", kind="drawdown", tax="nl")],
                                taxes=(STANDARD, REVERSE, dict(REVERSE, name="e", category="E", note="Education"),
                                       dict(REVERSE, name="z", category="Z", note="")))
    with_tax = invoice("gross", [hours("10", each="0.333", amount="2.76", exact="2.752066115702", gross="3.33", gross_exact="3.33"),
                                 hours("20", each="0.333", amount="5.50", exact="5.504132231405", gross="6.66", gross_exact="6.66")])
    taxes = [dict(with_tax["taxes"][0], amount="1.73", gross="9.99", included="1.73")]
    yield "gross", dict(with_tax, taxes=taxes, tax="1.73", total="9.99")
    yield "yen", invoice("yen", [hours("12.25", each="373", minor="1"), hours("1", each="99", minor="1")], currency="JPY", minor="1")
    yield "dinar", invoice("dinar", [hours("12.345", each="0.937", minor="0.001"), hours("1.001", minor="0.001")],
                           taxes=(dict(STANDARD, rate="0.10"),), currency="BHD", minor="0.001")
    paid = invoice("prepaid", [hours("100")], prepaid="300.00")
    yield "prepaid", dict(paid, amount_due=str(D(paid["total"]) - 300), credits=[{"grant": "g1", "kind": "prepaid", "amount": "300.00"}])
    yield "credit", invoice("credit", [hours("-100"), hours("2")], type="credit_note")
    yield "correction", invoice("correction", [hours("100")], type="credit_note",
                                corrects={"invoice": "NW-2026-000001", "issued": "2026-10-01T08:00:00Z", "reason": "Booked twice"})
    yield "parent", invoice("parent", [hours("10", customer="child-a"), hours("20", customer="child-b")])
    yield "names", invoice("names", [hours("1", description="<&> \"quoted\" ' \u0001\u000b\ufffe\uffff 上海 شركة दिल्ली \U0001f600")],
                           customer=dict(party["customer"], name="Müller & Söhne <上海云算力> \u0007 شركة",
                                         endpoint={"scheme": "0106", "id": "12345678"}))


def broken():
    yield "draft", dict(invoice("draft", [hours(1)]), number=""), "a number"
    yield "nowhere", dict(invoice("nowhere", [hours(1)]), seller={"name": "X", "address": []}), "seller.country"
    yield "untold", dict(invoice("untold", [hours(1)]), total="99.00"), "total does not agree"
    yield "rated", invoice("rated", [hours(1)], taxes=(dict(STANDARD, category="AE"),)), "does not go with it"
    yield "empty", invoice("empty", []), "no lines"


if __name__ == "__main__":
    for name, document in documents():
        json.dump(document, open("%s/%s.json" % (sys.argv[1], name), "w"), ensure_ascii=False)
    for name, document, why in broken():
        json.dump(document, open("%s/bad-%s.json" % (sys.argv[1], name), "w"))
        open("%s/bad-%s.why" % (sys.argv[1], name), "w").write(why)
