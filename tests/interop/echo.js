// An echo server by npm's `ws`. Its one argument is JSON: {modules, compression, pem}. Prints its port.
"use strict";

const settings = JSON.parse(process.argv[2]);
const { WebSocketServer } = require(settings.modules + "/ws");
const fs = require("fs");

const pem = settings.pem && fs.readFileSync(settings.pem);
const server = pem ? require("https").createServer({ key: pem, cert: pem }) : require("http").createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: settings.compression, maxPayload: 1 << 24 });

sockets.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (message, isBinary) => {
    if (!isBinary && message.toString() === "bye") {
      socket.close(4000, "as you wish");
    } else if (!isBinary && message.toString() === "fragments") {
      socket.send("one ", { fin: false });
      socket.ping("between");
      socket.send("two ", { fin: false });
      socket.send("three");
    } else {
      socket.send(message, { binary: isBinary });
    }
  });
  socket.on("pong", (payload) => socket.send("pong " + payload));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("close", () => process.exit(0)).resume();
