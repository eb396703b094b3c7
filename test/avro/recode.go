// Read the lines of random_cases.py, and write their data once more with
// hamba: arrays and maps in blocks of a negative count and a size.  What hamba
// does not take is left out.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/hamba/avro/v2"
)

func recode(columns []string) (again string, err error) {
	defer func() {
		if what := recover(); what != nil {
			err = fmt.Errorf("%v", what)
		}
	}()
	schema, err := avro.ParseWithCache(
		strings.ReplaceAll(columns[0], `\\`, `\`), "", &avro.SchemaCache{})
	if err != nil {
		return "", err
	}
	data, err := hex.DecodeString(columns[1])
	if err != nil {
		return "", err
	}
	var value any
	if err = avro.Unmarshal(schema, data, &value); err != nil {
		return "", err
	}
	bytes, err := avro.Marshal(schema, value)
	return hex.EncodeToString(bytes), err
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16*1024*1024)
	for in.Scan() {
		columns := strings.SplitN(in.Text(), "\t", 3)
		again, err := recode(columns)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		fmt.Printf("%s\t%s\t%s\n", columns[0], again, columns[2])
	}
}
