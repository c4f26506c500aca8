// The pinned database of vulnerabilities: golang.org/x/vulndb is a module, so it
// comes from the module proxy and is checked by go.sum, as everything else is.
// `make vulndb` raises it. Nothing of it is built.
module greenlane/internal/tools/vulndb

go 1.26.0

require golang.org/x/vulndb v0.0.0-20261105234957-e22db6528018
