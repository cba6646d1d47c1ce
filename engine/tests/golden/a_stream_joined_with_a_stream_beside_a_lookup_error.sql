/* list list.csv
a,x
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT NOT NULL) WITH (connector = 'lookup', path = 'list.csv', format = 'csv', key = 'name');
SELECT f.n FROM flows f JOIN hosts ON name = f.sa JOIN flows g ON f.sa = g.sa;
/* expected error
line 7, column 25: a join without windows is not supported; aggregate both sides by a window and join on the window
*/
