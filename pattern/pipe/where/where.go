package where

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/parleyhq/parley"
)

// Limits of expressions.
const (
	MaxBytes = 4 << 10
	MaxNodes = 500
	MaxSteps = 1_000_000 // for one event
	maxText  = 1 << 20   // bytes of a text that is put together
)

// Functions gives the names of the functions that an expression may use, in order.
func Functions() []string {
	return []string{
		"abs", "all", "any", "ceil", "count", "date", "duration", "filter", "find", "findIndex", "first", "float", "floor", "get",
		"hasPrefix", "hasSuffix", "indexOf", "int", "keys", "last", "lastIndexOf", "len", "lower", "map", "max", "mean", "median", "min",
		"none", "one", "round", "split", "sum", "trim", "trimPrefix", "trimSuffix", "type", "upper", "values",
	}
}

// env is what an expression sees.
type env struct {
	ID              string            `expr:"id"`
	Source          string            `expr:"source"`
	Type            string            `expr:"type"`
	Subject         string            `expr:"subject"`
	Time            time.Time         `expr:"time"`
	DataContentType string            `expr:"datacontenttype"`
	DataSchema      string            `expr:"dataschema"`
	Ext             map[string]string `expr:"ext"`
	Data            any               `expr:"data"`
	Tank            *tank             `expr:"__tank"`
}

// program is a compiled expression, and machines and environments to use again.
type program struct {
	text string
	code *vm.Program
	pool sync.Pool
}

type workbench struct {
	vm   vm.VM
	env  env
	tank tank
}

// Compile makes a function of an expression. With condition it has to give true or
// false, which is checked here where its type is known. The function is safe for
// concurrent use; its errors have the code Unprocessable, those of Compile Invalid,
// with a fix.
func Compile(text string, condition bool) (func(e *parley.Event, data any) (any, error), error) {
	if len(text) > MaxBytes {
		return nil, &parley.Error{Code: parley.TooLarge, Field: "expression", Detail: fmt.Sprintf("it has more than %d bytes", MaxBytes), Fix: "write several stages"}
	}
	guard := &guard{}
	options := []expr.Option{
		expr.Env(env{}), expr.MaxNodes(MaxNodes), expr.DisableAllBuiltins(), expr.Patch(guard),
		expr.Function(spendName, spend, new(func(*tank, bool, any) any)),
		expr.Function(sizedName, sized, new(func(*tank, any) any)),
		expr.Function(matchName, guard.matches, new(func(*tank, string, string) bool)),
	}
	if condition {
		options = append(options, expr.AsBool())
	}
	for _, name := range Functions() {
		options = append(options, expr.EnableBuiltin(name))
	}
	code, err := expr.Compile(text, options...)
	if guard.err != nil {
		return nil, guard.err
	}
	if err != nil {
		return nil, explain(err)
	}
	p := &program{text: text, code: code}
	p.pool.New = func() any { return &workbench{vm: vm.VM{MemoryBudget: MaxSteps}} }
	return p.run, nil
}

func (p *program) run(e *parley.Event, data any) (any, error) {
	b := p.pool.Get().(*workbench)
	defer p.pool.Put(b)
	b.tank = tank{left: MaxSteps, weight: 1 + len(e.Data)/25}
	b.env = env{e.ID, e.Source, e.Type, e.Subject, e.Time, e.DataContentType, e.DataSchema, e.Extensions, data, &b.tank}
	v, err := b.vm.Run(p.code, &b.env)
	b.env = env{}
	if err != nil {
		return nil, &parley.Error{Code: parley.Unprocessable, Detail: "the expression " + strconv.Quote(p.text) + " fails: " + reason(err), Fix: "use ?. and ?? for members that may be missing", Err: err}
	}
	return v, nil
}

// reason is what an error of the language says, without a drawing of the place.
func reason(err error) string {
	if e, ok := errors.AsType[*file.Error](err); ok {
		return e.Message
	}
	return err.Error()
}

// explain makes an error of one of the compiler.
func explain(err error) error {
	told := &parley.Error{Code: parley.Invalid, Field: "expression", Detail: reason(err), Fix: "see the documentation of pipes for what an expression may be", Err: err}
	if e, ok := errors.AsType[*file.Error](err); ok && e.Line > 0 {
		told.Detail += ", at character " + strconv.Itoa(e.Column+1)
		if e.Line > 1 {
			told.Detail += " of line " + strconv.Itoa(e.Line)
		}
	}
	name, unknown := strings.CutPrefix(reason(err), "unknown name ")
	name, _, _ = strings.Cut(name, " ")
	switch {
	case unknown && slices.Contains([]string{"let", "now", "reduce", "string", "toJSON", "join", "repeat", "replace"}, name):
		told.Fix = "what it does has no bound; the functions are " + strings.Join(Functions(), ", ")
	case unknown:
		told.Fix = "a member of the data is data." + name + ", an extension ext." + name + "; attributes are id, source, type, subject, time, datacontenttype and dataschema"
	}
	return told
}
