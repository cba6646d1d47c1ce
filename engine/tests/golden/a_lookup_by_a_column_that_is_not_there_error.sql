/* list list.csv
a,x
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT NOT NULL) WITH (connector = 'lookup', path = 'list.csv', format = 'csv', key = 'host');
SELECT n, role FROM flows LEFT JOIN hosts ON name = sa;
/* expected error
line 6, column 115: table `hosts`: option `key` cannot be `host`; expected a column: `name`, `role`
*/
