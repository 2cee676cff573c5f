/* Seller and buyer in UBL: electronic address, postal address, numbers; and the bank account to pay to. */
#include "documents/ubl.h"
#include <string.h>

/* Lists of tax numbers among the electronic address schemes (EAS), by the country in front of the number. */
static const struct vat_scheme {
  char country[3], scheme[5];
} vat_schemes[] = {{"AD", "9922"}, {"AL", "9923"}, {"BA", "9924"}, {"BE", "9925"}, {"BG", "9926"}, {"CH", "9927"},
                   {"CY", "9928"}, {"CZ", "9929"}, {"DE", "9930"}, {"EE", "9931"}, {"GB", "9932"}, {"GR", "9933"},
                   {"EL", "9933"}, {"HR", "9934"}, {"IE", "9935"}, {"LI", "9936"}, {"LT", "9937"}, {"LU", "9938"},
                   {"LV", "9939"}, {"MC", "9940"}, {"ME", "9941"}, {"MK", "9942"}, {"MT", "9943"}, {"NL", "9944"},
                   {"PL", "9945"}, {"PT", "9946"}, {"RO", "9947"}, {"RS", "9948"}, {"SI", "9949"}, {"SK", "9950"},
                   {"SM", "9951"}, {"TR", "9952"}, {"VA", "9953"}, {"FR", "9957"}, {"AT", "9914"}, {"ES", "9920"},
                   {"IT", "0211"}, {"HU", "9910"}, {"SE", "9955"}};

static bool is_letter(char c) {
  return c >= 'A' && c <= 'Z';
}
static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* A VAT number begins with its country; any other tax number is one of a national register. */
static bool is_vat_number(slice tax_id) {
  return tax_id.len > 4 && is_letter(tax_id.ptr[0]) && is_letter(tax_id.ptr[1]);
}

static const char *vat_scheme(slice tax_id) {
  for (size_t i = 0; is_vat_number(tax_id) && i < sizeof vat_schemes / sizeof *vat_schemes; i++) {
    if (memcmp(vat_schemes[i].country, tax_id.ptr, 2) == 0) {
      return vat_schemes[i].scheme;
    }
  }
  return NULL;
}

/* ---- what must be there ---- */

static void lacks(struct buf *missing, bool lacking, const char *what) {
  if (lacking) {
    buf_addf(missing, "%s%s", missing->len ? ", " : "", what);
  }
}

static bool has_category(const struct ubl *u, const char *code) {
  for (size_t i = 0; i < u->category_count; i++) {
    if (slice_is(u->categories[i].code, code)) {
      return true;
    }
  }
  return false;
}

bool ubl_parties_complete(const struct ubl *u, struct error *err) {
  struct buf missing;
  slice seller_tax = json_text(u->seller, "tax_id"), seller_number = json_text(u->seller, "registration"),
        buyer_tax = json_text(u->customer, "tax_id"), buyer_number = json_text(u->customer, "registration");
  buf_init(&missing, 600);
  lacks(&missing, json_text(u->document, "number").len == 0, "a number (a draft has none)");
  lacks(&missing, json_text(u->seller, "name").len == 0, "seller.name");
  lacks(&missing, json_text(u->seller, "country").len != 2, "seller.country");
  lacks(&missing, json_text(u->customer, "name").len == 0, "the customer's name");
  lacks(&missing, json_text(u->customer, "country").len != 2, "the customer's country");
  if (u->out_of_tax) {
    lacks(&missing, seller_tax.len + seller_number.len == 0, "seller.registration or seller.tax_id");
  } else {
    lacks(&missing, seller_tax.len == 0, "seller.tax_id");
  }
  lacks(&missing, has_category(u, "AE") && buyer_tax.len + buyer_number.len == 0,
        "the customer's tax_id or registration (reverse charge)");
  bool complete = missing.len == 0;
  if (!complete) {
    error_set(err, ERR_INVALID, "UBL: EN 16931 asks for what this invoice does not have: " SLICE_FMT,
              SLICE_ARG(buf_slice(&missing)));
  }
  buf_free(&missing);
  return complete;
}

/* ---- parties ---- */

static void put_endpoint(struct ubl *u, const struct json *party) {
  const struct json *endpoint = json_get(party, "endpoint");
  slice tax_id = json_text(party, "tax_id"), email = json_text(party, "email");
  const char *scheme = vat_scheme(tax_id);
  if (endpoint) {
    slice list = json_text(endpoint, "scheme");
    xml_text_with(u->xml, "cbc:EndpointID", "schemeID", arena_copy(u->arena, list).ptr, json_text(endpoint, "id"));
  } else if (scheme && !u->out_of_tax) {
    xml_text_with(u->xml, "cbc:EndpointID", "schemeID", scheme, tax_id);
  } else if (email.len > 0) {
    xml_text_with(u->xml, "cbc:EndpointID", "schemeID", "EM", email);
  }
}

/* Addresses are lines of text; the last of several names the town. */
static void put_address(struct ubl *u, const struct json *party) {
  const struct json *address = json_get(party, "address");
  uint32_t count = address ? address->count : 0, i = 0;
  slice town = {0}, third = {0};
  xml_open(u->xml, "cac:PostalAddress");
  for (const struct json *line = count ? address->child : NULL; line; line = line->next, i++) {
    if (i > 0 && i + 1 == count) {
      town = line->text;
    } else if (i < 2) {
      ubl_put_optional(u, i == 0 ? "cbc:StreetName" : "cbc:AdditionalStreetName", line->text);
    } else if (i == 2) {
      third = line->text;
    }
  }
  ubl_put_optional(u, "cbc:CityName", town);
  if (third.len > 0) {
    xml_open(u->xml, "cac:AddressLine");
    xml_text(u->xml, "cbc:Line", third);
    xml_close(u->xml);
  }
  xml_open(u->xml, "cac:Country");
  xml_text(u->xml, "cbc:IdentificationCode", json_text(party, "country"));
  xml_close(u->xml);
  xml_close(u->xml);
}

/* Out of scope of tax no VAT number may be named; a number that is not one of VAT has a scheme of its own, which only
 * the seller may use. */
static void put_tax_number(struct ubl *u, slice tax_id, bool is_seller) {
  bool vat = is_vat_number(tax_id);
  if (tax_id.len == 0 || u->out_of_tax || (!vat && !is_seller)) {
    return;
  }
  xml_open(u->xml, "cac:PartyTaxScheme");
  xml_text(u->xml, "cbc:CompanyID", tax_id);
  xml_open(u->xml, "cac:TaxScheme");
  xml_text(u->xml, "cbc:ID", vat ? SLICE("VAT") : SLICE("TAX"));
  xml_close(u->xml);
  xml_close(u->xml);
}

static void put_legal_entity(struct ubl *u, const struct json *party, bool is_seller) {
  slice number = json_text(party, "registration"), tax_id = json_text(party, "tax_id");
  bool tax_number_unsaid = u->out_of_tax || (!is_seller && !is_vat_number(tax_id));
  xml_open(u->xml, "cac:PartyLegalEntity");
  xml_text(u->xml, "cbc:RegistrationName", json_text(party, "name"));
  ubl_put_optional(u, "cbc:CompanyID", number.len == 0 && tax_number_unsaid ? tax_id : number);
  xml_close(u->xml);
}

void ubl_put_party(struct ubl *u, const char *element, const struct json *party, bool is_seller) {
  slice email = json_text(party, "email"), id = json_text(party, "id");
  xml_open(u->xml, element);
  xml_open(u->xml, "cac:Party");
  put_endpoint(u, party);
  if (id.len > 0) {
    xml_open(u->xml, "cac:PartyIdentification");
    xml_text(u->xml, "cbc:ID", id);
    xml_close(u->xml);
  }
  xml_open(u->xml, "cac:PartyName");
  xml_text(u->xml, "cbc:Name", json_text(party, "name"));
  xml_close(u->xml);
  put_address(u, party);
  put_tax_number(u, json_text(party, "tax_id"), is_seller);
  put_legal_entity(u, party, is_seller);
  if (email.len > 0) {
    xml_open(u->xml, "cac:Contact");
    xml_text(u->xml, "cbc:ElectronicMail", email);
    xml_close(u->xml);
  }
  xml_close(u->xml);
  xml_close(u->xml);
}

/* ---- the bank account ---- */

/* ISO 13616: the first four moved to the end, letters as 10..35, the whole modulo 97 is 1. */
static bool iban_holds(const char *iban, size_t length) {
  unsigned rest = 0;
  for (size_t i = 0; i < length; i++) {
    char c = iban[(i + 4) % length];
    rest = is_digit(c) ? (rest * 10 + (unsigned)(c - '0')) % 97 : (rest * 100 + (unsigned)(c - 'A') + 10) % 97;
  }
  return rest == 1;
}

/* The longest IBAN that begins at `words` and ends with a word; 0 for none. */
static size_t iban_at(slice words, char iban[34]) {
  size_t length = 0, found = 0;
  for (size_t i = 0; i < words.len && length < 34; i++) {
    char c = words.ptr[i];
    bool fits = length < 2 ? is_letter(c) : length < 4 ? is_digit(c) : is_letter(c) || is_digit(c);
    if (c == ' ' && length >= 4) {
      continue;
    }
    if (!fits) {
      break;
    }
    iban[length++] = c;
    bool ends = i + 1 == words.len || (!is_letter(words.ptr[i + 1]) && !is_digit(words.ptr[i + 1]));
    if (ends && length >= 15 && iban_holds(iban, length)) {
      found = length;
    }
  }
  return found;
}

slice ubl_iban(struct arena *arena, slice words) {
  char iban[34];
  for (size_t i = 0; i < words.len; i++) {
    bool begins = i == 0 || (!is_letter(words.ptr[i - 1]) && !is_digit(words.ptr[i - 1]));
    size_t length = begins ? iban_at((slice){words.ptr + i, words.len - i}, iban) : 0;
    if (length > 0) {
      return arena_copy(arena, (slice){iban, length});
    }
  }
  return (slice){0};
}
