"""What is sent when: the writer, what is pending, the send rate, hot keys. Knows no clock, chance or network."""
