/* ISO 4217: the active currencies with their minor units; rounding to them and showing amounts in them. */
#include "money/money.h"
#include <stdlib.h>
#include <string.h>

/* In order of code. Most have two minor units; those that differ and those with a common symbol say so. */
// clang-format off
#define CURRENCIES(X) \
  X(AED, 2) X(AFN, 2) X(ALL, 2) X(AMD, 2) X(AOA, 2) X(ARS, 2) X(AUD, 2) X(AWG, 2) X(AZN, 2) X(BAM, 2) X(BBD, 2) \
  X(BDT, 2) X(BHD, 3) X(BIF, 0) X(BMD, 2) X(BND, 2) X(BOB, 2) X(BRL, 2) X(BSD, 2) X(BTN, 2) X(BWP, 2) X(BYN, 2) \
  X(BZD, 2) X(CAD, 2) X(CDF, 2) X(CHF, 2) X(CLF, 4) X(CLP, 0) X(CNY, 2) X(COP, 2) X(CRC, 2) X(CUP, 2) X(CVE, 2) \
  X(CZK, 2) X(DJF, 0) X(DKK, 2) X(DOP, 2) X(DZD, 2) X(EGP, 2) X(ERN, 2) X(ETB, 2) X(EUR, 2) X(FJD, 2) X(FKP, 2) \
  X(GBP, 2) X(GEL, 2) X(GHS, 2) X(GIP, 2) X(GMD, 2) X(GNF, 0) X(GTQ, 2) X(GYD, 2) X(HKD, 2) X(HNL, 2) X(HTG, 2) \
  X(HUF, 2) X(IDR, 2) X(ILS, 2) X(INR, 2) X(IQD, 3) X(IRR, 2) X(ISK, 0) X(JMD, 2) X(JOD, 3) X(JPY, 0) X(KES, 2) \
  X(KGS, 2) X(KHR, 2) X(KMF, 0) X(KPW, 2) X(KRW, 0) X(KWD, 3) X(KYD, 2) X(KZT, 2) X(LAK, 2) X(LBP, 2) X(LKR, 2) \
  X(LRD, 2) X(LSL, 2) X(LYD, 3) X(MAD, 2) X(MDL, 2) X(MGA, 2) X(MKD, 2) X(MMK, 2) X(MNT, 2) X(MOP, 2) X(MRU, 2) \
  X(MUR, 2) X(MVR, 2) X(MWK, 2) X(MXN, 2) X(MYR, 2) X(MZN, 2) X(NAD, 2) X(NGN, 2) X(NIO, 2) X(NOK, 2) X(NPR, 2) \
  X(NZD, 2) X(OMR, 3) X(PAB, 2) X(PEN, 2) X(PGK, 2) X(PHP, 2) X(PKR, 2) X(PLN, 2) X(PYG, 0) X(QAR, 2) X(RON, 2) \
  X(RSD, 2) X(RUB, 2) X(RWF, 0) X(SAR, 2) X(SBD, 2) X(SCR, 2) X(SDG, 2) X(SEK, 2) X(SGD, 2) X(SHP, 2) X(SLE, 2) \
  X(SOS, 2) X(SRD, 2) X(SSP, 2) X(STN, 2) X(SVC, 2) X(SYP, 2) X(SZL, 2) X(THB, 2) X(TJS, 2) X(TMT, 2) X(TND, 3) \
  X(TOP, 2) X(TRY, 2) X(TTD, 2) X(TWD, 2) X(TZS, 2) X(UAH, 2) X(UGX, 0) X(USD, 2) X(UYI, 0) X(UYU, 2) X(UYW, 4) \
  X(UZS, 2) X(VED, 2) X(VES, 2) X(VND, 0) X(VUV, 0) X(WST, 2) X(XAF, 0) X(XCD, 2) X(XCG, 2) X(XOF, 0) X(XPF, 0) \
  X(YER, 2) X(ZAR, 2) X(ZMW, 2) X(ZWG, 2)
// clang-format on

#define ENTRY(code, minor) {#code, minor, #code},
static const struct currency currencies[] = {CURRENCIES(ENTRY)};

static int by_code(const void *key, const void *entry) {
  return slice_cmp(*(const slice *)key, slice_of(((const struct currency *)entry)->code));
}

const struct currency *currency_find(slice code) {
  return bsearch(&code, currencies, sizeof currencies / sizeof *currencies, sizeof *currencies, by_code);
}

static int128 minor_unit_e12(const struct currency *currency) {
  int128 unit = AMOUNT_E12;
  for (int i = 0; i < currency->minor_units; i++) {
    unit /= 10;
  }
  return unit;
}

bool amount_round(amount a, const struct currency *currency, enum rounding how, amount *out, struct error *err) {
  int128 unit = minor_unit_e12(currency), units, rounded;
  if (!int128_muldiv(a.e12, 1, unit, how, &units, err)) {
    return false;
  }
  if (__builtin_mul_overflow(units, unit, &rounded)) {
    return error_set(err, ERR_OVERFLOW, "the rounded amount is out of range");
  }
  *out = (amount){rounded};
  return true;
}

char *amount_display(amount a, const struct currency *currency, char text[DECIMAL_TEXT_MAX * 2]) {
  char plain[DECIMAL_TEXT_MAX];
  amount_text_fixed(a, currency->minor_units, plain);
  size_t digits = strcspn(plain, "."), sign = plain[0] == '-', at = 0;
  for (size_t i = 0; plain[i]; i++) {
    size_t left = digits - i;
    if (i > sign && i < digits && left % 3 == 0) {
      text[at++] = ',';
    }
    text[at++] = plain[i];
  }
  text[at] = '\0';
  return text;
}
