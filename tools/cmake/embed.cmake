# cmake -DINPUT=file -DSYMBOL=name -DOUTPUT=file.cpp -P embed.cmake: INPUT's bytes as `const std::string_view cx::name`.
file(READ ${INPUT} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" text "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\"\n\"" text "${text}")
file(WRITE ${OUTPUT} "#include <string_view>\nnamespace cx {\nextern const std::string_view ${SYMBOL};\n"
  "const std::string_view ${SYMBOL}{\"${text}\", ${size}};\n}\n")
