module hb.example/tally

go 1.21

require hb.example/wordcount v1.0.0
