"""Counts down to zero. It never gets there: 0.1 has no exact value in binary."""

left = 1.0
while left != 0:
    left -= 0.1
print("lift-off")
