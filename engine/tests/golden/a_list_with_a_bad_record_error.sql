/* list list.csv
# who is who
a,x

b
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT NOT NULL) WITH (connector = 'lookup', path = 'list.csv', format = 'csv', key = 'name');
SELECT n, role FROM flows LEFT JOIN hosts ON name = sa;
/* expected error
line 9, column 80: lookup table `hosts`: line 4: 1 columns, the query needs 2 (too_short); correct the list; a list with a bad record is not used
*/
