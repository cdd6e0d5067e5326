// Print the Khronos validator's report on one glTF file as JSON; exit 1 if it found an error or a warning.
// Usage: node gltf_validate.cjs FILE.glb|FILE.gltf      (NODE_PATH names the folder that holds gltf-validator)
const fs = require("fs");
const path = require("path");
const validator = require("gltf-validator");

const beside = (uri) =>
  fs.promises.readFile(path.join(path.dirname(process.argv[2]), decodeURIComponent(uri))).then((d) => new Uint8Array(d));

validator
  .validateBytes(new Uint8Array(fs.readFileSync(process.argv[2])), { maxIssues: 100, externalResourceFunction: beside })
  .then((report) => {
    console.log(JSON.stringify(report, null, 1));
    process.exitCode = report.issues.numErrors + report.issues.numWarnings > 0 ? 1 : 0;
  })
  .catch((error) => {
    console.error(String(error));
    process.exitCode = 2;
  });
