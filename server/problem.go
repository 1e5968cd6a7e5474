package server

import (
	"errors"

	"github.com/parleyhq/parley"
)

// Problem is one thing that is wrong with a configuration, and where it was said.
type Problem struct {
	Source string // "parley.yaml:3", "PARLEY_LISTEN" or "--listen"; "" = nowhere in particular
	Err    *parley.Error
}

// Error implements error.
func (p *Problem) Error() string {
	if p.Source == "" {
		return p.Err.Error()
	}
	return p.Source + ": " + p.Err.Error()
}

// Unwrap gives the error itself.
func (p *Problem) Unwrap() error { return p.Err }

// Where says where the mistake is.
func (p *Problem) Where() string { return p.Source }

func invalid(field, detail, fix string) *parley.Error { return parley.BadField(field, detail, fix) }

// inside puts a path before the field that an error names.
func inside(path string, err error) *parley.Error {
	var e *parley.Error
	if !errors.As(err, &e) {
		return &parley.Error{Code: parley.Invalid, Field: path, Detail: err.Error(), Err: err}
	}
	within := *e
	switch {
	case e.Field == "":
		within.Field = path
	case path != "" && e.Field[0] != '[':
		within.Field = path + "." + e.Field
	default:
		within.Field = path + e.Field
	}
	return &within
}
