-- Quarto's callouts: ::: {.callout-note title="…"} becomes a note with its name as the first line.
function Div(div)
  for _, class in ipairs(div.classes) do
    local kind = class:match("^callout%-(%a+)$")
    if kind then
      local title = { pandoc.Str((kind:gsub("^%l", string.upper))) }
      if div.attributes.title then
        title = pandoc.utils.blocks_to_inlines(pandoc.read(div.attributes.title, "markdown").blocks)
        div.attributes.title = nil
      elseif div.content[1] and div.content[1].t == "Header" then
        title = table.remove(div.content, 1).content
      end
      div.classes:insert("callout")
      div.attributes.role = "note"
      div.attributes.appearance, div.attributes.collapse, div.attributes.icon = nil, nil, nil
      div.content:insert(1, pandoc.Div({ pandoc.Plain(title) }, pandoc.Attr("", { "callout-title" })))
      return div
    end
  end
end
