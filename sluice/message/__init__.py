"""What a message body means: a body in, operations and rejections out. Knows no AWS call, clock or network."""
