/* list list.csv
a,x
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT NOT NULL) WITH (connector = 'lookup', path = 'list.csv', format = 'csv', key = 'name');
SELECT n FROM flows JOIN hosts ON name = dp;
/* expected error
line 7, column 1: the key `name` of lookup table `hosts` is TEXT, which cannot be compared with Int32; CAST the other side in the condition
*/
