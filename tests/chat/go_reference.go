// Renders Go templates with Go's own text/template: what llmrun's interpreter is compared with.
// In: a JSON array of {"name", "template", "data"}. Out: the same with "text" or "error".
// `go run go_reference.go < cases.json`
package main

import (
	"bytes"
	"encoding/json"
	"os"
	"text/template"
)

type testCase struct {
	Name     string `json:"name"`
	Template string `json:"template"`
	Data     any    `json:"data"`
	Text     string `json:"text"`
	Error    string `json:"error,omitempty"`
}

var functions = template.FuncMap{
	"json": func(value any) string {
		text, _ := json.Marshal(value)
		return string(text)
	},
}

func render(one *testCase) {
	parsed, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(one.Template)
	var out bytes.Buffer
	if err == nil {
		err = parsed.Execute(&out, one.Data)
	}
	if err != nil {
		one.Error = err.Error()
		return
	}
	one.Text = out.String()
}

func main() {
	var cases []testCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	for i := range cases {
		render(&cases[i])
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(cases); err != nil {
		panic(err)
	}
}
