# C without its comments, strings and character constants: same lines, so that line numbers stay. Sets `code`.
FNR == 1 { in_comment = 0 }
{
  code = ""
  rest = $0
  while (rest != "") {
    if (in_comment) {
      end = index(rest, "*/")
      if (!end) break
      rest = substr(rest, end + 2)
      in_comment = 0
      code = code " "
    } else if (match(rest, /\/\*|\/\/|"|'/)) {
      code = code substr(rest, 1, RSTART - 1)
      opening = substr(rest, RSTART, RLENGTH)
      rest = substr(rest, RSTART + RLENGTH)
      if (opening == "//") break
      if (opening == "/*") {
        in_comment = 1
      } else {
        code = code opening opening
        while (rest != "" && substr(rest, 1, 1) != opening) rest = substr(rest, substr(rest, 1, 1) == "\\" ? 3 : 2)
        rest = substr(rest, 2)
      }
    } else {
      code = code rest
      break
    }
  }
}
