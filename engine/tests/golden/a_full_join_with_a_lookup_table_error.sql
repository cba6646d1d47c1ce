/* list list.csv
a,x
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT NOT NULL) WITH (connector = 'lookup', path = 'list.csv', format = 'csv', key = 'name');
SELECT n FROM flows FULL JOIN hosts ON name = sa;
/* expected error
line 7, column 26: the join with lookup table `hosts` would have entries without a row, or use only whether there is an entry; write FROM stream LEFT JOIN hosts ON hosts.name = …, or JOIN for rows with an entry only
*/
