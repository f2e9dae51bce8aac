//! A language server on its standard streams, as an editor talks to it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// An answer takes a second; a busy machine may need many.
const DEADLINE: Duration = Duration::from_secs(120);

/// An editor that has a folder open.
pub struct Editor {
    server: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    folder: PathBuf,
    asked: u64,
    opened: u64,
}

impl Editor {
    /// Starts the server for a folder.
    pub fn open(folder: &Path) -> Self {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/editor/node_modules");
        let program = home.join("yaml-language-server/bin/yaml-language-server");
        assert!(
            program.exists(),
            "these tests need a YAML language server: run scripts/editor-tools (`make test` does)"
        );
        let mut server = Command::new("node")
            .arg(program)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (to, out) = (server.stdin.take().unwrap(), server.stdout.take().unwrap());
        let (send, from) = channel();
        std::thread::spawn(move || {
            let mut out = BufReader::new(out);
            while let Some(message) = read(&mut out) {
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let folder = folder.canonicalize().unwrap();
        let mut editor = Self { server, to, from, folder, asked: 0, opened: 0 };
        let root = editor.uri("");
        let capabilities = json!({
            "workspace": {"configuration": true},
            "textDocument": {
                "completion": {"completionItem": {"snippetSupport": true}},
                "hover": {"contentFormat": ["plaintext"]},
            },
        });
        editor.ask(
            "initialize",
            &json!({"processId": null, "rootUri": root, "capabilities": capabilities,
                   "workspaceFolders": [{"uri": root, "name": "requests"}]}),
        );
        editor.send(json!({"method": "initialized", "params": {}}));
        editor
    }

    fn uri(&self, path: &str) -> String {
        format!("file://{}/{path}", self.folder.display())
    }

    fn send(&mut self, mut message: Value) {
        message["jsonrpc"] = json!("2.0");
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.to.flush().unwrap();
    }

    /// The next message that is meant, answering what the server asks on the way.
    fn wait(&mut self, is_meant: &dyn Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.from.recv_timeout(DEADLINE).expect("the server says nothing");
            let is_question = message.get("method").is_some() && message.get("id").is_some();
            if is_question {
                let settings = |item: &Value| match item["section"].as_str() {
                    Some("yaml") => json!({"validate": true, "hover": true, "completion": true,
                                           "schemaStore": {"enable": false}}),
                    _ => json!({}),
                };
                let answer = match message["method"].as_str() {
                    Some("workspace/configuration") => message["params"]["items"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(settings)
                        .collect(),
                    _ => Value::Null,
                };
                self.send(json!({"id": message["id"], "result": answer}));
            } else if is_meant(&message) {
                return message;
            }
        }
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.send(json!({"id": id, "method": method, "params": params}));
        let answer = self.wait(&|message| message["id"] == id);
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    fn show(&mut self, text: &str) -> String {
        self.opened += 1;
        let uri = self.uri(&format!("requests/web/dev/open-{}.yaml", self.opened));
        let document = json!({"uri": uri, "languageId": "yaml", "version": 1, "text": text});
        self.send(json!({"method": "textDocument/didOpen", "params": {"textDocument": document}}));
        uri
    }

    /// What is underlined in a text, each with its message.
    pub fn problems(&mut self, text: &str) -> Vec<(String, String)> {
        let uri = self.show(text);
        let said = self.wait(&|message| {
            message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == uri
        });
        let lines: Vec<&str> = text.lines().collect();
        let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let problems = said["params"]["diagnostics"].as_array().unwrap().iter();
        problems
            .map(|problem| {
                let (start, end) = (&problem["range"]["start"], &problem["range"]["end"]);
                let line = lines[number(&start["line"])];
                let marked = &line[number(&start["character"])..number(&end["character"])];
                (marked.to_owned(), problem["message"].as_str().unwrap().to_owned())
            })
            .collect()
    }

    fn at_cursor(&mut self, method: &str, text: &str) -> Value {
        let (before, after) = text.split_once('|').expect("`|` is where the cursor stands");
        let uri = self.show(&format!("{before}{after}"));
        let line = before.matches('\n').count();
        let character = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        let position = json!({"line": line, "character": character});
        self.ask(method, &json!({"textDocument": {"uri": uri}, "position": position}))
    }

    /// What is offered at the `|` of a text, each with what is shown of it.
    pub fn offers(&mut self, text: &str) -> Vec<(String, String)> {
        let answer = self.at_cursor("textDocument/completion", text);
        let items = answer["items"].as_array().unwrap().iter();
        let text = |value: &Value| {
            value.as_str().or(value["value"].as_str()).unwrap_or_default().to_owned()
        };
        items.map(|item| (text(&item["label"]), text(&item["documentation"]))).collect()
    }

    /// What is shown of what is under the `|` of a text.
    pub fn shown(&mut self, text: &str) -> String {
        let answer = self.at_cursor("textDocument/hover", text);
        let contents = &answer["contents"];
        let text = contents["value"].as_str().or(contents.as_str()).unwrap_or_default();
        // Its Markdown has a backslash before every full stop.
        text.replace('\\', "")
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn read(from: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?;
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
