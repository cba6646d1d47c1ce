/* list list.csv
network,name
10.0.0.0/8,x
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT NOT NULL) WITH (connector = 'lookup', path = 'list.csv', format = 'csv', key = 'name', match = 'cidr');
SELECT n, role FROM flows LEFT JOIN hosts ON name = sa;
/* expected error
line 7, column 80: lookup table `hosts`: `network` is no address and no network such as 192.0.2.0/24; if the first line names the columns, say 'csv.columns' = 'header'
*/
