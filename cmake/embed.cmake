file(READ ${IN} text)
file(WRITE ${OUT} "R\"__embedded(${text})__embedded\"\n")
