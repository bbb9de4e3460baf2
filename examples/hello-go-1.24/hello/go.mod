module hb.example/hello

go 1.24
