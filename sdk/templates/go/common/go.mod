module {{name}}

go 1.24

require github.com/weir-dev/weir/sdk/go v0.1.0

// The SDK came with the program that made this folder.
replace github.com/weir-dev/weir/sdk/go => ./weir
