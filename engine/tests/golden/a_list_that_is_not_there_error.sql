/* list list.csv
a,x
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT NOT NULL) WITH (connector = 'lookup', path = 'other.csv', format = 'csv', key = 'name');
SELECT n, role FROM flows LEFT JOIN hosts ON name = sa;
/* expected error
line 6, column 80: file `other.csv` does not exist; check `path`
*/
