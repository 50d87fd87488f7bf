"""Every way in which a record may come and go, each beside what one would write with boto3 instead."""
