package main

// Schedules are in zones, and not every machine has a zone database.
import _ "time/tzdata"
