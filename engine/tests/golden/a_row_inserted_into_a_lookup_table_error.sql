/* list list.csv
a,x
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT NOT NULL) WITH (connector = 'lookup', path = 'list.csv', format = 'csv', key = 'name');
INSERT INTO hosts SELECT sa, da FROM flows;
/* expected error
line 7, column 13: table `hosts` can only be read; insert into a table with a sink connector
*/
