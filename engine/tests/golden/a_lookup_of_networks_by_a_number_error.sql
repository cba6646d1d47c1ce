/* list list.csv
1,x
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT NOT NULL, port INT) WITH (connector = 'lookup', path = 'list.csv', format = 'csv', key = 'port', match = 'cidr');
SELECT n, role FROM flows LEFT JOIN hosts ON name = sa;
/* expected error
line 6, column 125: table `hosts`: option `key` cannot be `port`; expected a column of type TEXT, where match = 'cidr'
*/
