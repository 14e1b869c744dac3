#!/bin/bash
# Lets who knows the password of the database's owner copy the database and follow it.
echo "host replication $POSTGRES_USER all scram-sha-256" >> "$PGDATA/pg_hba.conf"
