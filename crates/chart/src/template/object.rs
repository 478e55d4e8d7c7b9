//! Structs and pointers that templates see: the chart's metadata, capabilities, times, versions.

use super::fault::Fault;
use super::signature::Ty;
use super::value::Value;

/// The code behind a method.
pub(crate) type MethodRun = fn(&Value, &[Value]) -> Result<Value, Fault>;

/// A method that a template can call on a value.
pub(crate) struct Method {
    pub(crate) params: &'static [Ty],
    pub(crate) run: MethodRun,
}

/// A Go struct, or a pointer to one.
pub(crate) trait Object {
    /// As `%T` prints it.
    fn type_name(&self) -> &str;

    /// As `reflect.Kind` prints it.
    fn kind_name(&self) -> &'static str;

    /// A nil pointer.
    fn is_nil(&self) -> bool {
        false
    }

    /// An exported field.
    fn field(&self, name: &str) -> Option<Value>;

    /// An exported method.
    fn method(&self, _name: &str) -> Option<Method> {
        None
    }

    /// As `%v` prints it.
    fn text(&self) -> String;

    /// As `%v` prints a struct inside of another, where a `String` method of its pointer does not count; nothing for what
    /// is no struct.
    fn plain_text(&self) -> Option<String> {
        None
    }

    /// The fields as `fmt` prints them, where it does not ask the value for a text.
    fn printed_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        None
    }

    /// As `encoding/json` sees it.
    fn json(&self) -> Value;

    /// The object as a time, where it is one.
    fn time(&self) -> Option<crate::functions::time::Time> {
        None
    }

    /// The number behind a named integer type.
    fn number(&self) -> Option<i64> {
        None
    }

    /// The fields in their order, where JSON shows a struct.
    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        None
    }

    /// A pointer to what has no text of its own.
    fn is_bare_pointer(&self) -> bool {
        false
    }

    /// The exported fields in their order, those of embedded structs among them; nothing for what is no struct.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// The object as a version, where it is one.
    fn version(&self) -> Option<&crate::functions::semver::Version> {
        None
    }

    /// The object as a certificate and its key, where it is one.
    fn certificate(&self) -> Option<(String, String)> {
        None
    }
}

/// One field of a [`Struct`].
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// The key in JSON; `None` keeps the field out of it.
    pub(crate) json: Option<&'static str>,
    pub(crate) omit_empty: bool,
    pub(crate) value: Value,
}

/// A struct whose fields are known when it is made.
pub(crate) struct Struct {
    pub(crate) type_name: &'static str,
    pub(crate) pointer: bool,
    pub(crate) fields: Vec<Field>,
    /// What its `String` method returns, where it has one.
    pub(crate) text: Option<String>,
    pub(crate) methods: fn(&str) -> Option<Method>,
}

/// For structs without methods.
pub(crate) fn no_methods(_name: &str) -> Option<Method> {
    None
}

impl Struct {
    fn fields_text(&self) -> String {
        let shown = |field: &Field| match &field.value {
            Value::Object(object) if object.kind_name() == "struct" => object.plain_text(),
            _ => None,
        };
        let fields: Vec<String> = self
            .fields
            .iter()
            .map(|field| shown(field).unwrap_or_else(|| super::format::display(&field.value)))
            .collect();
        format!("{{{}}}", fields.join(" "))
    }
}

impl Object for Struct {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn kind_name(&self) -> &'static str {
        if self.pointer { "ptr" } else { "struct" }
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields
            .iter()
            .find(|field| field.name == name)
            .map(|field| field.value.clone())
    }

    fn method(&self, name: &str) -> Option<Method> {
        (self.methods)(name)
    }

    fn text(&self) -> String {
        if let Some(text) = &self.text {
            return text.clone();
        }
        format!("{}{}", if self.pointer { "&" } else { "" }, self.fields_text())
    }

    fn plain_text(&self) -> Option<String> {
        match &self.text {
            Some(text) if (self.methods)("String").is_none() => Some(text.clone()),
            _ => Some(self.fields_text()),
        }
    }

    fn json(&self) -> Value {
        let fields = self.json_fields().unwrap_or_default();
        Value::map(
            fields
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }

    fn is_bare_pointer(&self) -> bool {
        self.pointer && self.text.is_none()
    }

    fn printed_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        // A method of the pointer does not count for what it points to.
        if self.pointer && self.text.is_some() {
            return None;
        }
        // The fields of an embedded struct stand before it; they are part of it.
        let embedded = self.fields.iter().position(|field| field.json.is_none());
        let fields = self.fields[embedded.unwrap_or(0)..].iter();
        Some(fields.map(|field| (field.name, field.value.clone())).collect())
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        self.fields
            .iter()
            .filter(|field| field.json.is_some())
            .map(|field| (field.name, field.value.clone()))
            .collect()
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        let shown = self
            .fields
            .iter()
            .filter(|field| !(field.omit_empty && field.value.empty()));
        Some(
            shown
                .filter_map(|field| Some((field.json?, field.value.clone())))
                .collect(),
        )
    }
}
