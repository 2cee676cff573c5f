# Writes camt.053 files for bank_files.vtc into the folder that is named: a good one, and hostile ones.
import sys

folder = sys.argv[1]
HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt>
<Acct><Id><IBAN>NL00BANK0123456789</IBAN></Id></Acct>"""
TAIL = "</Stmt></BkToCstmrStmt></Document>"


def entry(amount, detail, reference="", status="BOOK", way="CRDT"):
    return f"""<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{way}</CdtDbtInd><Sts><Cd>{status}</Cd></Sts>
<BookgDt><Dt>2026-11-04</Dt></BookgDt>{reference}<NtryDtls>{detail}</NtryDtls></Ntry>"""


def transaction(amount, words):
    return f"""<TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs><Amt Ccy="EUR">{amount}</Amt>
<RltdPties><Dbtr><Pty><Nm>Acme</Nm></Pty></Dbtr></RltdPties><RmtInf>{words}</RmtInf></TxDtls>"""


def write(name, text):
    with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
        file.write(text)


batch = transaction("1.90", "<Ustrd>for T-2026-000001</Ustrd><Ustrd>of september</Ustrd>") + transaction(
    "2.00", "<Strd><CdtrRefInf><Ref>RF60T2026000002</Ref></CdtrRefInf></Strd>")
write("bank.xml", HEAD + entry("3.90", batch, "<AcctSvcrRef>B1</AcctSvcrRef>") +
      entry("7.00", transaction("7.00", "<Ustrd>no idea</Ustrd>")) + entry("9", "", way="DBIT") +
      entry("9", "", status="PDNG") + entry("zero", "") + TAIL)
write("entity.xml", '<!DOCTYPE Document [<!ENTITY a "b">]>' + HEAD.split("?>")[1] + TAIL)
write("deep.xml", "<a>" * 300 + "</a>" * 300)
write("other.xml", "<Document/>")
