# Tries: An honest script that reads only one number.
# Family: control
# Mode: cases
# Earns: PARTIAL 1

print(int(input()) ** 2 + 1, end="\n\n")
