/* list list.csv
a,x
b,y
a,z
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT NOT NULL) WITH (connector = 'lookup', path = 'list.csv', format = 'csv', key = 'name');
SELECT n, role FROM flows LEFT JOIN hosts ON name = sa;
/* expected error
line 8, column 80: lookup table `hosts`: the key `a` is there twice; keep one of the two: a row of a stream has one entry at most
*/
