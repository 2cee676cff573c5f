"""Holds the FOCUS datasets of a folder against the columns of the standard, its rules on costs, and the invoices.
usage: focus_rules.py COLUMNS.csv FOLDER DOCUMENT.json...; prints what is broken; --self-test before it: that each rule finds its break;
--whole-terms: the documents hold all of each commitment's term"""
import csv, json, re, sys
from collections import defaultdict
from decimal import Decimal as D, getcontext

getcontext().prec = 200
FILES = {"Cost and Usage": "cost-and-usage", "Invoice Detail": "invoice-detail", "Billing Period": "billing-period",
         "Contract Commitment": "contract-commitment"}
NUMBER, TIME = re.compile(r"-?\d+(\.\d+)?"), re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Focus:
    def __init__(self, columns, tables, documents, whole_terms=False):
        self.whole_terms = whole_terms
        self.columns, self.tables, self.documents, self.broken = columns, tables, documents, []

    def rule(self, name, holds, row=None):
        if not holds:
            self.broken.append(name if row is None else "%s (%s)" % (name, row.get("InvoiceId", "") + " " + row.get("InvoiceDetailId", "")))

    def check(self):
        for dataset, rows in self.tables.items():
            self.form(dataset, *rows)
        for row in self.tables["Cost and Usage"][1]:
            self.costs(row), self.kinds(row), self.committed(row)
        self.one_parent("ServiceName", "ServiceCategory"), self.one_parent("SkuPriceId", "SkuId")
        self.sums(), self.periods()
        if self.whole_terms:
            self.terms()
        return self.broken

    def form(self, dataset, names, rows):
        known = [c for c in self.columns if c["dataset"] == dataset]
        own = [n for n in names if n.startswith("x_")]
        self.rule(dataset + ": own columns come last", names[len(names) - len(own):] == own)
        self.rule(dataset + ": columns in the order of the standard", names[:len(names) - len(own)] == [c["column_id"] for c in known if c["column_id"] in names])
        for c in known:
            name = c["column_id"]
            self.rule("%s: %s is mandatory" % (dataset, name), c["feature_level"] != "Mandatory" or name in names)
            for row in rows if name in names else []:
                self.cell(c, row[name], row)

    def cell(self, c, text, row):
        name, form = c["column_id"], c["value_format"]
        if text == "":
            self.rule(name + " is not null", c["allows_nulls"] == "True", row)
            return
        self.rule(name + " is allowed", form != "Allowed Values" or text in c["allowed_values"].split("|"), row)
        self.rule(name + " is a number", not form.startswith("Decimal") or NUMBER.fullmatch(text), row)
        self.rule(name + " is not negative", "non-negative" not in form or not text.startswith("-"), row)
        self.rule(name + " is a time", form != "Date/Time" or TIME.fullmatch(text), row)
        self.rule(name + " is a currency", form != "Currency" or re.fullmatch("[A-Z]{3}", text), row)
        if form in ("JSON Object", "Key-Value"):
            self.rule(name + " is an object", isinstance(json.loads(text), dict), row)

    def costs(self, row):
        for kind in ("List", "Contracted"):
            price, quantity = row[kind + "UnitPrice"], row["PricingQuantity"]
            if price and quantity and row["ChargeClass"] != "Correction":
                self.rule(kind + "Cost is price times quantity", D(price) * D(quantity) == D(row[kind + "Cost"]), row)
        if row["ChargeCategory"] in ("Credit", "Adjustment"):
            self.rule("costs of what stands alone are equal", row["ListCost"] == row["ContractedCost"] == row["BilledCost"], row)
        self.rule("a rounding is small", row["x_Rounding"] == "false" or 0 < abs(D(row["BilledCost"])) < 1, row)

    def kinds(self, row):
        category, correction = row["ChargeCategory"], row["ChargeClass"] == "Correction"
        priced = [n for n in ("PricingQuantity", "PricingUnit", "PricingCategory", "ListUnitPrice", "ContractedUnitPrice", "SkuId", "SkuPriceId") if row[n]]
        self.rule("a tax has no price", category != "Tax" or not priced, row)
        self.rule("what is sold has a price", category not in ("Usage", "Purchase") or correction or len(priced) == 7, row)
        self.rule("PricingUnit goes with PricingQuantity", bool(row["PricingUnit"]) == bool(row["PricingQuantity"]), row)
        self.rule("usage is measured", bool(row["ConsumedQuantity"]) == (category == "Usage" and not correction and row["CommitmentDiscountStatus"] != "Unused"), row)
        self.rule("ConsumedUnit goes with ConsumedQuantity", bool(row["ConsumedUnit"]) == bool(row["ConsumedQuantity"]), row)
        self.rule("a purchase is not usage-based", category != "Purchase" or row["ChargeFrequency"] != "Usage-Based", row)
        self.rule("SkuMeter needs SkuId", not row["SkuMeter"] or row["SkuId"], row)
        self.rule("names of sub accounts", bool(row["SubAccountId"]) == bool(row["SubAccountName"]), row)
        self.rule("periods begin before they end", row["ChargePeriodStart"] < row["ChargePeriodEnd"] and row["BillingPeriodStart"] < row["BillingPeriodEnd"], row)

    def committed(self, row):
        has, status = bool(row["CommitmentDiscountId"]), row["CommitmentDiscountStatus"]
        for name in ("Category", "Type", "Name", "Quantity", "Unit"):
            self.rule("CommitmentDiscount%s goes with its id" % name, bool(row["CommitmentDiscount" + name]) == has, row)
        self.rule("usage of a commitment has a status", bool(status) == (has and row["ChargeCategory"] == "Usage"), row)
        self.rule("what is covered is priced as committed", (row["PricingCategory"] == "Committed") == bool(status), row)
        self.rule("what is covered is not billed", not status or D(row["BilledCost"]) == 0, row)
        self.rule("the fee of a commitment has no effective cost", not has or status or D(row["EffectiveCost"]) == 0, row)
        self.rule("what is unused is not consumed", status != "Unused" or not row["ConsumedQuantity"], row)

    def terms(self):
        """Documents that hold terms whole: costs come to the same, of all and of each commitment; quantities too."""
        bought, used, rows = defaultdict(D), defaultdict(D), self.tables["Cost and Usage"][1]
        for row in rows:
            name = row["CommitmentDiscountId"]
            bought[name] += D(row["BilledCost"]) if row["ChargeCategory"] == "Purchase" else 0
            used[name] += D(row["EffectiveCost"]) if row["ChargeCategory"] == "Usage" else 0
        for name in set(bought) - {""}:
            self.rule("%s: EffectiveCost of what it covered and did not is BilledCost of its purchase: %s %s" % (name, used[name], bought[name]), used[name] == bought[name])
        self.rule("EffectiveCost of whole terms sums to BilledCost", sum(D(r["EffectiveCost"]) for r in rows) == sum(D(r["BilledCost"]) for r in rows))
        self.rule("there are whole terms", len(bought) > 1 and any(r["CommitmentDiscountStatus"] == "Unused" for r in rows))

    def one_parent(self, child, parent):
        parents = defaultdict(set)
        for row in self.tables["Cost and Usage"][1]:
            if row[child]:
                parents[row[child]].add(row[parent])
        self.rule("one %s for each %s" % (parent, child), all(len(p) == 1 for p in parents.values()))

    def sums(self):
        billed, effective, of_lines, detail, voided = defaultdict(D), defaultdict(D), defaultdict(D), {}, set()
        for row in self.tables["Cost and Usage"][1]:
            billed[row["InvoiceId"]] += D(row["BilledCost"])
            effective[row["InvoiceId"]] += D(row["EffectiveCost"])
            of_lines[row["InvoiceId"], row["InvoiceDetailId"]] += D(row["BilledCost"])
        for row in self.tables["Invoice Detail"][1]:
            key = row["InvoiceId"], row["InvoiceDetailId"]
            self.rule("details are told apart", key not in detail, row)
            detail[key] = D(row["BilledCost"])
            if row["InvoiceIssueStatus"] == "Voided":
                voided.add(row["InvoiceId"])
        for d in self.documents:
            number, total = d["number"], D(d["total"])
            payable = D(d.get("amount_due", d["total"])) * (-1 if d.get("type") == "credit_note" and total > 0 else 1)
            self.rule("%s: BilledCost sums to what is payable" % number, billed[number] == (0 if number in voided else payable))
            self.rule("%s: details sum to what is payable" % number, sum(v for (n, _), v in detail.items() if n == number) == payable)
            shifts = any(l["kind"] in ("commitment", "drawdown") or l.get("commitment_kind") and (not l["unit"] or ", upfront" in l["description"]) for l in d["lines"])
            if not shifts and all(c.get("payment", "monthly") == "monthly" for c in d.get("commitments", [])):
                self.rule("%s: EffectiveCost sums to BilledCost" % number, effective[number] == billed[number])
        for key, value in detail.items():
            self.rule("%s: rows sum to their detail" % (key,), key[0] in voided or of_lines[key] == value)
        self.rule("every row has its detail", set(of_lines) <= set(detail))
        self.rule("every invoice is there", {n for n, _ in detail} == {d["number"] for d in self.documents})

    def periods(self):
        listed = {(p["InvoiceIssuerName"], p["BillingPeriodStart"], p["BillingPeriodEnd"]) for p in self.tables["Billing Period"][1]}
        for row in self.tables["Invoice Detail"][1]:
            self.rule("the billing period is listed", (row["InvoiceIssuerName"], row["BillingPeriodStart"], row["BillingPeriodEnd"]) in listed, row)


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        return reader.fieldnames, list(reader)


# A cell of the first usage row, what is put there, and a word of the rule that must find it.
BREAKS = [("BilledCost", "1e3", "is a number"), ("BilledCost", "0.1", "sums to what is payable"), ("ListUnitPrice", "7.77", "ListCost is price"),
          ("ContractedCost", "1", "ContractedCost is price"), ("ChargeCategory", "Gift", "is allowed"), ("ChargeCategory", "Tax", "a tax has no price"),
          ("InvoiceIssuerName", "", "is not null"), ("ChargePeriodEnd", "2026-10-01", "is a time"), ("ConsumedQuantity", "", "usage is measured"),
          ("EffectiveCost", "0", "EffectiveCost sums"), ("ServiceCategory", "Web", "one ServiceCategory"), ("InvoiceDetailId", "none", "every row has its detail")]


# Likewise of a row of what a commitment covered.
COMMITTED_BREAKS = [("CommitmentDiscountStatus", "", "has a status"), ("PricingCategory", "Standard", "priced as committed"), ("CommitmentDiscountUnit", "", "Unit goes with its id"),
                    ("EffectiveCost", "0.000001", "of its purchase"), ("EffectiveCost", "0.000001", "whole terms sums"), ("BilledCost", "1", "not billed")]


def self_test(columns, tables, documents, whole_terms):
    rows = tables["Cost and Usage"][1]
    usage = next(r for r in rows if r["ChargeCategory"] == "Usage" and D(r["BilledCost"]) not in (0, 1) and D(r["PricingQuantity"]) != 0)
    covered = next((r for r in rows if r["CommitmentDiscountStatus"] == "Used" and D(r["EffectiveCost"]) != 0), None)
    for row, name, text, rule in [(usage, *b) for b in BREAKS if not whole_terms] + [(covered, *b) for b in COMMITTED_BREAKS if whole_terms]:
        kept, row[name] = row[name], text
        try:
            broken = Focus(columns, tables, documents, whole_terms).check()
        except ArithmeticError:
            broken = ["is a number"]
        if not any(rule in b for b in broken):
            sys.exit("not found: %s = %s should break \"%s\"" % (name, text, rule))
        row[name] = kept


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    columns = read(arguments[0])[1]
    tables = {dataset: read("%s/%s.csv" % (arguments[1], file)) for dataset, file in FILES.items()}
    documents = [json.load(open(path)) for path in arguments[2:]]
    broken = Focus(columns, tables, documents, "--whole-terms" in sys.argv).check()
    if broken:
        sys.exit("\n".join(sorted(set(broken))[:20]))
    if "--self-test" in sys.argv:
        self_test(columns, tables, documents, "--whole-terms" in sys.argv)
