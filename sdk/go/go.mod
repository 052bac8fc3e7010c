module github.com/weir-dev/weir/sdk/go

go 1.24
