module hb.example/hello

go 1.21
